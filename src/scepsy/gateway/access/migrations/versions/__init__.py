"""One file for each change of the schema, which is never edited once it was released."""
