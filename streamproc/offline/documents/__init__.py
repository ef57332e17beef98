"""Files as users have them: rows of JSON, CSV and Parquet, and documents of many formats."""
