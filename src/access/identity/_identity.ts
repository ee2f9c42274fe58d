import type { Caller, Credentials, Policy } from '../caller.ts'

/** What a token stands for. */
export type Identity = Omit<Caller, 'serviceRoles' | 'isAdmin' | 'requestId' | 'token'>

const NO_ROLES: readonly string[] = []

/** The caller of one request. */
export function asCaller(
  identity: Identity,
  serviceRoles: readonly string[] = NO_ROLES,
  { requestId, token }: Credentials,
  policy: Policy,
): Caller {
  const caller = {
    ...identity,
    serviceRoles,
    requestId,
    ...(token !== undefined && { token }),
  }
  return { ...caller, isAdmin: policy.allows('context_is_admin', { ...caller, isAdmin: false }) }
}
