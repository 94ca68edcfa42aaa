-- Keys with a null in a column that must have a value.
SELECT {key}
FROM {table}
WHERE {incomplete}
