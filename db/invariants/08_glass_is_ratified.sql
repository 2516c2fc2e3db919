-- 8. What one person approved alone is told as such and put to others, and what these say of it is told where it was approved.
select e.action_id::text as id, 'it was approved alone and nobody is said to have done so' as what
  from events e
 where e.event = 'approved' and e.data ->> 'reason' like 'break\_glass:%'
   and not exists (select from events told
                    where told.action_id = e.action_id and told.event = 'glass_broken' and told.seq < e.seq)
union all
select e.action_id::text, format('nobody was asked to ratify what %s approved alone', e.actor)
  from events e
 where e.event = 'glass_broken'
   and not exists (select from actions r
                    where (r.caused_by, r.action_type, r.created_by, r.params ->> 'reason')
                          = (e.action_id, 'RATIFY', e.actor, e.data ->> 'reason'))
union all
select r.id::text, format('it is %s, and what it is about does not tell', r.status)
  from actions r
 where r.action_type = 'RATIFY' and r.status in ('executed', 'rejected', 'expired')
   and not exists (select from events e
                    where e.action_id = r.caused_by
                      and (e.event, r.status = 'executed') in (('ratified', true), ('ratification_refused', false))
                      and r.id::text in (e.data ->> 'agreed_in', e.data ->> 'refused_in'))
