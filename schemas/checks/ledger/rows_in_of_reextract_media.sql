-- Accounts of reextract_{modality} whose rows in are not the different files that items pointed to by that night. An
-- earlier night that is made late, or made again, changes what is known.
WITH contents AS (
    SELECT date, unnest({modality}_keys) AS key FROM items WHERE NOT deleted
),
given AS (
    SELECT DISTINCT l.date, l.encoder, c.key
    FROM ledger l
    JOIN contents c ON c.date <= l.date
    WHERE l.step = 'reextract_{modality}' AND c.key IS NOT NULL
),
counted AS (
    SELECT date, count(*) AS found FROM given GROUP BY date
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'reextract_{modality}' AND rows_in != coalesce(counted.found, 0)
