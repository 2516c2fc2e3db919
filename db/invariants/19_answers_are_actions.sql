-- 19. What answers an alert or a recommendation is an action that names it, for the same tenant, of the type recommended.
select format('%s %s', p.kind, p.id) as id,
       case when a.id is null then format('it is answered by %s, and there is no such action', p.action_id)
            else format('it is answered by %s, which is another''s action', p.action_id) end as what
  from proposals p
  left join actions a on a.id = p.action_id
 where p.action_id is not null
   and (a.id is null
        or a.params ->> case p.kind when 'alert' then 'alert_id' else 'sira_recommendation_id' end is distinct from p.id
        or (a.target_tenant_type, a.target_tenant_id) is distinct from (p.tenant_type, p.tenant_id)
        or (p.kind = 'recommendation' and a.action_type <> p.type))
