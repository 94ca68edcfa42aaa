    SELECT date, user_id, item_id, text_key AS content_key FROM interactions
