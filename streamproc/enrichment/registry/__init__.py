"""Events whose schemas a schema registry holds: Avro and JSON Schema, in Confluent's wire forms."""
