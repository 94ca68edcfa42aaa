-- Accounts of extract_{modality} whose kept files are not those that the night's items point to and
-- features_{modality} has.
--
-- A file that the step itself has refused does not count, though another night may have extracted it since. One that
-- another night has refused since, when it extracted it again, has left the store and does count. An account without an
-- encoder is compared with the rows of all encoders.
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
    SELECT date, count(*) AS found
    FROM given g
    WHERE NOT EXISTS (
        SELECT 1 FROM quarantine q
        WHERE q.date = g.date AND q.stage = 'extract_{modality}' AND q.record_id = g.key
    )
    AND (
        EXISTS (
            SELECT 1 FROM features_{modality} f
            WHERE f.content_key = g.key AND f.encoder = coalesce(g.encoder, f.encoder)
        )
        OR EXISTS (
            SELECT 1 FROM quarantine q
            WHERE q.stage = 'extract_{modality}' AND q.record_id = g.key AND starts_with(q.detail, g.encoder)
        )
    )
    GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'extract_{modality}' AND kept != coalesce(counted.found, 0)
