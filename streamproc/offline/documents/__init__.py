"""Files as users have them: rows of JSON, CSV and Parquet, and documents, by name, folder or pattern."""
