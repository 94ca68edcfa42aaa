-- Accounts of reextract_text whose rows in are not the different texts that were known by that night. An earlier night
-- that is made late, or made again, changes what is known.
WITH contents AS (
    SELECT date, text_key AS key FROM items WHERE NOT deleted
    UNION ALL
    SELECT date, text_key FROM interactions
),
given AS (
    SELECT DISTINCT l.date, l.encoder, c.key
    FROM ledger l
    JOIN contents c ON c.date <= l.date
    WHERE l.step = 'reextract_text' AND c.key IS NOT NULL
),
counted AS (
    SELECT date, count(*) AS found FROM given GROUP BY date
)
SELECT date, step, rows_in, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'reextract_text' AND rows_in != coalesce(counted.found, 0)
