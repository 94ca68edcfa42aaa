-- Accounts of extract_{modality} whose rows in are not the different files that the night's items point to.
WITH contents AS (
    SELECT date, unnest({modality}_keys) AS key FROM items WHERE NOT deleted
),
given AS (
    SELECT DISTINCT l.date, l.encoder, c.key
    FROM ledger l
    JOIN contents c ON c.date = l.date
    WHERE l.step = 'extract_{modality}' AND c.key IS NOT NULL
),
counted AS (
    SELECT date, count(*) AS found FROM given GROUP BY date
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'extract_{modality}' AND rows_in != coalesce(counted.found, 0)
