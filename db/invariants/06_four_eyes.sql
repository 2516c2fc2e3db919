-- 6. Whom separation of duties keeps out of an action has no vote on it: its target always (but the name of a
-- definition or an issuer, which is nobody's), and who created or triggered it unless its policy allows
-- self-approval and no other action led to it.
select a.id::text as id, format('%s voted and is kept out by separation of duties', v.person_id) as what
  from votes v
  join actions a on a.id = v.action_id
 where exists (select from jsonb_array_elements_text(a.requirement -> 'excluded') as excluded(name)
                where folded(excluded.name) = folded(v.person_id))
union all
select a.id::text, format('%s is not kept out and should be', part.name)
  from actions a
  cross join lateral (values (a.created_by, true), (a.triggered_by, true), (a.target_tenant_id, false)) as part(name, asked)
 where part.name is not null
   and (part.asked or a.action_type not in ('CHANGE_DEFINITION', 'REGISTER_KEY'))
   and not exists (select from jsonb_array_elements_text(a.requirement -> 'excluded') as excluded(name)
                    where folded(excluded.name) = folded(part.name))
   and not (part.asked and a.caused_by is null
            and exists (select from definitions d
                         where (d.kind, d.name, d.version) = ('policy', a.policy_name, a.policy_version)
                           and (d.body -> 'policy' ->> 'allow_self_approval')::boolean))
