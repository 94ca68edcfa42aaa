-- Nights of which a step has left rows and no account.
WITH written AS (
    SELECT DISTINCT date, 'clean_items' AS step FROM items
    UNION ALL
    SELECT DISTINCT date, 'clean_interactions' FROM interactions
    UNION ALL
    SELECT DISTINCT date, 'clean_media' FROM items
    WHERE len(image_keys) + len(audio_keys) + len(video_keys) > 0
    UNION ALL
    SELECT DISTINCT date, 'clean_vectors_' || modality FROM given_vectors
    UNION ALL
    SELECT DISTINCT date, 'recommend' FROM recommendations
)
SELECT date, step
FROM written
WHERE NOT EXISTS (
    SELECT 1 FROM ledger WHERE ledger.date = written.date AND ledger.step = written.step
)
