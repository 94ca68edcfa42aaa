    SELECT date, modality, item_id, uri, content_key FROM given_vectors WHERE modality = '{modality}'
