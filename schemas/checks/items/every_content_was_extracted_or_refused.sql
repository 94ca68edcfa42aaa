-- Contents of items that are neither in their feature store nor in quarantine, though their night extracted.
SELECT date, item_id, 'text' AS modality, text_key AS key
FROM items
WHERE NOT deleted
    AND text_key IS NOT NULL
    AND date IN (SELECT date FROM ledger WHERE step = 'extract_text')
    AND text_key NOT IN (SELECT content_key FROM features_text)
    AND text_key NOT IN (
        SELECT record_id FROM quarantine WHERE stage = 'extract_text' AND record_id IS NOT NULL
    )
UNION ALL
SELECT date, item_id, 'image', key
FROM (SELECT date, item_id, unnest(image_keys) AS key FROM items WHERE NOT deleted)
WHERE key IS NOT NULL
    AND date IN (SELECT date FROM ledger WHERE step = 'extract_image')
    AND key NOT IN (SELECT content_key FROM features_image)
    AND key NOT IN (
        SELECT record_id FROM quarantine WHERE stage = 'extract_image' AND record_id IS NOT NULL
    )
UNION ALL
SELECT date, item_id, 'audio', key
FROM (SELECT date, item_id, unnest(audio_keys) AS key FROM items WHERE NOT deleted)
WHERE key IS NOT NULL
    AND date IN (SELECT date FROM ledger WHERE step = 'extract_audio')
    AND key NOT IN (SELECT content_key FROM features_audio)
    AND key NOT IN (
        SELECT record_id FROM quarantine WHERE stage = 'extract_audio' AND record_id IS NOT NULL
    )
UNION ALL
SELECT date, item_id, 'video', key
FROM (SELECT date, item_id, unnest(video_keys) AS key FROM items WHERE NOT deleted)
WHERE key IS NOT NULL
    AND date IN (SELECT date FROM ledger WHERE step = 'extract_video')
    AND key NOT IN (SELECT content_key FROM features_video)
    AND key NOT IN (
        SELECT record_id FROM quarantine WHERE stage = 'extract_video' AND record_id IS NOT NULL
    )
