-- Rows of features_{modality} whose vector has the same value in all its places.
SELECT *
FROM features_{modality}
WHERE len(vector) > 1 AND list_max(vector) = list_min(vector)
