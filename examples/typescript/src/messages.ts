/** What a producer can say. The engine refuses fields that are not here; see docs/wire-format.md for the finer rules. */

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json | undefined };

export type Quorum =
  | { type: 'role'; value: { role: string; min_votes: number } }
  | { type: 'percentage'; value: { percentage: number; pool: string | string[] } }
  | { type: 'specific_users'; value: { users: string[] } }
  | { type: 'all_of' | 'any_of'; value: { of: Quorum[] } }
  | { type: 'k_of'; value: { k: number; of: Quorum[] } };

export interface CreateAction {
  /** The same key makes the same action, once. Without one every call asks for another action. */
  idempotency_key?: string | null;
  origin: 'sira' | 'system' | 'ops_ui' | 'module' | 'alert';
  action_type: string;
  params: { [name: string]: Json | undefined };
  target_tenant_type?: string | null;
  target_tenant_id?: string | null;
  risk_level?: 'low' | 'medium' | 'high' | 'critical' | null;
  auto_execute?: boolean | null;
  required_quorum?: Quorum | null;
  required_ratio?: number | null;
  timeout_seconds?: number | null;
  created_by: string;
  triggered_by?: string | null;
}

export type Choice = 'approve' | 'reject' | 'abstain' | 'withdraw';

export interface CastVote {
  action_id: string;
  voter_id: string;
  voter_roles?: string[];
  vote: Choice;
  comment?: string | null;
  /** RFC 3339; of several votes of a person the one cast last counts. */
  cast_at?: string | null;
  /** The content_hash that the voter looked at; the vote is refused if the action has another. */
  content_hash?: string | null;
  /** Approve alone, in an emergency, for this reason; only with approve, and where the policy lets somebody. */
  break_glass?: string | null;
  metadata?: { [name: string]: Json | undefined };
}

export interface ExecuteAction {
  action_id: string;
  executed_by: string;
}

export interface CancelAction {
  action_id: string;
  cancelled_by: string;
  reason?: string | null;
}

export interface Alert {
  id: string;
  alert_type: string;
  tenant_type: string;
  tenant_id: string;
  severity: 'info' | 'warning' | 'critical';
  metric: { [name: string]: Json | undefined };
  title?: string | null;
  description?: string | null;
}

/** What SIRA says of an alert. */
export interface Recommendation {
  action?: string | null;
  /** 0 to 1. */
  confidence: number;
  params?: { [name: string]: Json | undefined };
  explanation?: Json;
}

export interface RemediateAlert {
  alert: Alert;
  /** Without it the engine asks SIRA. */
  recommendation?: Recommendation | null;
}

export interface RecommendAction {
  id: string;
  tenant_type: string;
  tenant_id: string;
  /** The type of the action. */
  recommendation_type: string;
  params: { [name: string]: Json | undefined };
  confidence: number;
  explanation: Json;
  priority?: Json;
  title?: string | null;
  description?: string | null;
  estimated_impact?: Json;
  /** RFC 3339; 30 days from now unless given. */
  expires_at?: string | null;
}

/** A role, or somebody to act for: exactly one of both. */
export interface PersonGrant {
  role?: string | null;
  acts_for?: string | null;
  starts_at?: string | null;
  ends_at?: string | null;
}

export interface Person {
  id: string;
  name?: string | null;
  grants?: PersonGrant[];
}

export interface SyncDirectory {
  /** Higher than that of every snapshot before. */
  snapshot: number;
  /** Everybody: who is missing has left. */
  people: Person[];
}

export type Body = CreateAction | CastVote | ExecuteAction | CancelAction | RemediateAlert | RecommendAction | SyncDirectory;
