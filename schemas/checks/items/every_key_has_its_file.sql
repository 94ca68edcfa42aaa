-- Items with more keys than files of a modality, or fewer.
SELECT date, item_id
FROM items
WHERE len(image_uris) != len(image_keys)
    OR len(audio_uris) != len(audio_keys)
    OR len(video_uris) != len(video_keys)
