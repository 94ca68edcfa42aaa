-- Accounts of clean_vectors_{modality} whose kept rows are not the night's rows of given_vectors.
WITH counted AS (
    SELECT date, count(*) AS found FROM given_vectors WHERE modality = '{modality}' GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'clean_vectors_{modality}' AND kept != coalesce(counted.found, 0)
