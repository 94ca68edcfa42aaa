-- Rows whose vector holds a null, a NaN or an infinity.
SELECT *
FROM {table}
WHERE len(list_filter(vector, lambda x: x IS NULL OR NOT isfinite(x))) > 0
