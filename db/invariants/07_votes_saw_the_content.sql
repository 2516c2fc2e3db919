-- 7. A vote that names the content that its voter saw names that of the action.
select a.id::text as id, format('%s voted on another content', v.person_id) as what
  from votes v
  join actions a on a.id = v.action_id
 where v.content_hash <> encode(a.content_hash, 'hex')
