-- The catalog as of a night with the features of each item's text, first picture, first sound and first film.
--
-- Features are those under the encoder that extracted last by that night, the first where a modality has several. All
-- columns of a modality are null where the item has no such content, or it was refused.
--
-- Parameters: night
-- Columns:
-- item_id: As in `items`.
-- title: As in `items`.
-- category: As in `items`.
-- language: As in `items`.
-- price: As in `items`.
-- tags: As in `items`.
-- text_*: as in `features_text`.
-- image_*: as in `features_image`.
-- audio_*: as in `features_audio`.
-- video_*: as in `features_video`.
WITH encoders AS (
    SELECT step, arg_max(encoder, date) AS encoder
    FROM ledger
    WHERE date <= night::DATE AND encoder IS NOT NULL
        AND step IN ('extract_text', 'extract_image', 'extract_audio', 'extract_video')
    GROUP BY step
),
-- Accounts of earlier versions do not name the encoder: then it is the one whose content came last.
of_text AS (
    SELECT COLUMNS('(.+)') AS 'text_\1'
    FROM features_text
    WHERE encoder = coalesce(
        (SELECT encoder FROM encoders WHERE step = 'extract_text'),
        (SELECT arg_max(encoder, (date, encoder)) FROM features_text WHERE date <= night::DATE)
    )
),
of_image AS (
    SELECT COLUMNS('(.+)') AS 'image_\1'
    FROM features_image
    WHERE encoder = coalesce(
        (SELECT encoder FROM encoders WHERE step = 'extract_image'),
        (SELECT arg_max(encoder, (date, encoder)) FROM features_image WHERE date <= night::DATE)
    )
),
of_audio AS (
    SELECT COLUMNS('(.+)') AS 'audio_\1'
    FROM features_audio
    WHERE encoder = coalesce(
        (SELECT encoder FROM encoders WHERE step = 'extract_audio'),
        (SELECT arg_max(encoder, (date, encoder)) FROM features_audio WHERE date <= night::DATE)
    )
),
of_video AS (
    SELECT COLUMNS('(.+)') AS 'video_\1'
    FROM features_video
    WHERE encoder = coalesce(
        (SELECT encoder FROM encoders WHERE step = 'extract_video'),
        (SELECT arg_max(encoder, (date, encoder)) FROM features_video WHERE date <= night::DATE)
    )
)
SELECT
    i.item_id, i.title, i.category, i.language, i.price, i.tags,
    of_text.*, of_image.*, of_audio.*, of_video.*
FROM items_as_of(night) i
LEFT JOIN of_text ON of_text.text_content_key = i.text_key
LEFT JOIN of_image ON of_image.image_content_key = i.image_keys[1]
LEFT JOIN of_audio ON of_audio.audio_content_key = i.audio_keys[1]
LEFT JOIN of_video ON of_video.video_content_key = i.video_keys[1]
