-- 9. What an action asks for, and who must agree, is what its first event says.
select a.id::text as id, 'its row is not what was created' as what
  from actions a
  left join events e on e.action_id = a.id and e.seq = 1 and e.event = 'created'
 where (e.data -> 'params', e.data -> 'requirement', e.data ->> 'content_hash', e.data ->> 'issuer',
        e.data ->> 'idempotency_key', e.data ->> 'origin', e.data ->> 'action_type', e.data ->> 'action_type_version',
        e.data ->> 'target_tenant_type', e.data ->> 'target_tenant_id', e.data ->> 'risk_level', e.actor,
        e.data ->> 'triggered_by', e.data ->> 'policy_name', e.data ->> 'policy_version', e.data ->> 'timeout_seconds',
        e.data ->> 'auto_execute', e.data ->> 'execute_within_seconds', e.at)
       is distinct from
       (a.params, a.requirement - 'steps_reached', encode(a.content_hash, 'hex'), a.issuer,
        a.idempotency_key, a.origin, a.action_type, a.action_type_version::text,
        a.target_tenant_type, a.target_tenant_id, a.risk_level, a.created_by,
        a.triggered_by, a.policy_name, a.policy_version::text, a.timeout_seconds::text,
        a.auto_execute::text, a.execute_within_seconds::text, a.created_at)
