-- Accounts of reextract_text whose kept texts are not those that were known by that night and features_text has.
--
-- A text that the step itself has refused does not count. One that an extraction under the same encoder has refused
-- since has left the store and does count. An account without an encoder is compared with the rows of all encoders.
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
    SELECT date, count(*) AS found
    FROM given g
    WHERE NOT EXISTS (
        SELECT 1 FROM quarantine q
        WHERE q.date = g.date AND q.stage = 'reextract_text' AND q.record_id = g.key
    )
    AND (
        EXISTS (
            SELECT 1 FROM features_text f
            WHERE f.content_key = g.key AND f.encoder = coalesce(g.encoder, f.encoder)
        )
        OR EXISTS (
            SELECT 1 FROM quarantine q
            WHERE q.stage = 'extract_text' AND q.record_id = g.key AND starts_with(q.detail, g.encoder)
        )
    )
    GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'reextract_text' AND kept != coalesce(counted.found, 0)
