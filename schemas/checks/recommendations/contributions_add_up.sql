-- Recommendations whose score is not the sum of its contributions, up to the rounding of float32.
SELECT *
FROM recommendations
WHERE abs(
    score - (
        contribution_history + contribution_text + contribution_image + contribution_audio + contribution_video
        + coalesce(contribution_attributes, 0) + coalesce(contribution_popularity, 0)
    )
) > 1e-3 * (1 + abs(score))
