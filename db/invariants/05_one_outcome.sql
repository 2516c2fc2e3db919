-- 5. A message's outcome is true: what was applied is there, and no vote waits for an action that is there.
select encode(m.content_sha256, 'hex') as id, format('it is %s, and there is no action %s', m.outcome, m.action_id) as what
  from messages m
 where m.outcome in ('applied', 'duplicate') and m.action_id is not null
   and not exists (select from actions a where a.id = m.action_id)
union all
select encode(m.content_sha256, 'hex'), format('it is parked, and there is action %s', m.action_id)
  from messages m
 where m.outcome = 'parked' and exists (select from actions a where a.id = m.action_id)
