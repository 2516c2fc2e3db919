-- 6. Who created or triggered an action, or is its target, has no vote on it.
select a.id::text as id, format('%s voted and is kept out by separation of duties', v.person_id) as what
  from votes v
  join actions a on a.id = v.action_id
 where lower(v.person_id) in (lower(a.created_by), lower(a.triggered_by), lower(a.target_tenant_id))
    or exists (select from jsonb_array_elements_text(a.requirement -> 'excluded') as excluded(name)
                where lower(excluded.name) = lower(v.person_id))
