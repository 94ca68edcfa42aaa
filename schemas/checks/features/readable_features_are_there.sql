-- Rows of {table} without readable features, though their encoder has read the content.
SELECT content_key, encoder
FROM {table}
WHERE NOT {given} AND ({absent})
