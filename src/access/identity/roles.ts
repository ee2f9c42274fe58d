/** Source: the roles that Keystone makes at bootstrap, each of which implies the next. */
const LADDER = ['admin', 'manager', 'member', 'reader'] as const

/** Lower case, and with the roles that are implied. */
export function withImpliedRoles(roles: readonly string[]): readonly string[] {
  const own = roles.map((role) => role.toLowerCase())
  const highest = LADDER.findIndex((role) => own.includes(role))
  return [...new Set([...own, ...(highest < 0 ? [] : LADDER.slice(highest))])]
}
