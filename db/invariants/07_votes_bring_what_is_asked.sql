-- 7. Where a requirement asks for it, each counted vote names the content and came with the voter's own key.
select a.id::text as id,
       case when k.person_id is null then format('the vote of %s came with no key of their own', v.person_id)
            else format('the vote of %s names no content', v.person_id) end as what
  from votes v
  join actions a on a.id = v.action_id
  join keys k on k.kid = v.kid
 where (a.requirement -> 'require_content_hash' = 'true' and v.content_hash is null)
    or (a.requirement -> 'require_personal_key' = 'true' and k.person_id is null)
