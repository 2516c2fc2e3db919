-- 12. An action has the versions of action type and policy that were there at its creation; version 0 is the default policy.
-- A minute of grace: the clock may have stepped back in between.
select a.id::text as id, format('%s %s version %s was not there when it was created', kind, name, version) as what
  from actions a
  cross join lateral (values ('action_type', a.action_type, a.action_type_version),
                             ('policy', a.policy_name, a.policy_version)) as used(kind, name, version)
 where version > 0
   and not exists (select from definitions d
                    where (d.kind, d.name, d.version) = (used.kind, used.name, used.version)
                      and d.created_at <= a.created_at + interval '1 minute')
