-- Vectors that are given for neither an item nor a file, or for both.
SELECT date, modality, item_id, uri
FROM given_vectors
WHERE (item_id IS NULL) = (uri IS NULL)
