-- Campaigns that were deleted before the numbers that only they must not call were removed with them: they are gone through again.
UPDATE campaigns SET deleted = 1
    WHERE deleted = 2 AND EXISTS (SELECT 1 FROM campaign_suppressions s WHERE s.campaign = campaigns.id);
