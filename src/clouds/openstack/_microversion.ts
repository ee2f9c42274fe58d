import { Failure } from '../../base/failure.ts'
import { ask, type Asking } from './_ask.ts'
import { asWire, listOf, textOr, type Wire } from './_fields.ts'

/** The newest whose changes are minded in `_compute.ts`. */
export const NEWEST_KNOWN = '2.93'

/**
 * The newest microversion that we know and the service speaks, by what it says of itself at its root.
 * Source: the Compute API's version discovery; a service without microversions is a v2.1 of the first day.
 */
export async function chooseMicroversion(asking: Asking, newestKnown: string): Promise<string> {
  const endpoint = await asking.endpoint()
  // `…/v2.1`, `…/v2.1/PROJECT`, `…/v2/PROJECT` or the root itself.
  const [, root = endpoint, version] = /^(.*?)\/(v2(?:\.1)?)(?:\/[^/]*)?$/.exec(endpoint) ?? []
  const there = { ...asking, endpoint: async () => root }
  const { json } = await ask(there, { path: version === 'v2.1' ? '/v2.1/' : '/' })
  const { max, min } = versionsIn(asWire(json, 'version'))
  const chosen = isNewer(max, newestKnown) ? newestKnown : max
  if (isNewer(min, chosen))
    throw new Failure('CLOUD_FAILED', `${asking.name} speaks ${min} and newer; we know ${chosen}`)
  return chosen
}

/** Of an answer about one version, or about all. */
function versionsIn(json: Wire): { max: string; min: string } {
  const all =
    json['version'] === undefined
      ? listOf(json['versions'], 'versions')
      : [asWire(json['version'], 'version')]
  const spoken = all.map((one) => ({
    max: textOr(one, 'version', '') || '2.1',
    min: textOr(one, 'min_version', '') || '2.1',
  }))
  return spoken.reduce((one, other) => (isNewer(other.max, one.max) ? other : one), {
    max: '2.1',
    min: '2.1',
  })
}

/** `2.10` is newer than `2.9`. */
export function isNewer(one: string, other: string): boolean {
  const [a = 0, b = 0] = one.split('.').map(Number)
  const [c = 0, d = 0] = other.split('.').map(Number)
  return a > c || (a === c && b > d)
}
