-- Accounts of clean_media whose kept files are not those that the night's items point to.
WITH counted AS (
    SELECT date, sum(len(image_keys) + len(audio_keys) + len(video_keys)) AS found FROM items GROUP BY date
)
SELECT date, step, kept, coalesce(counted.found, 0) AS found
FROM ledger
LEFT JOIN counted USING (date)
WHERE step = 'clean_media' AND kept != coalesce(counted.found, 0)
