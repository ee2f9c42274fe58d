import { checkReach, type WebRules } from '../../bytes/web-request.ts'
import type { ImageRow } from './_factory-tables.ts'
import { type Ground, reachOf } from './_ground.ts'
import { providerOf } from './_providers.ts'
import type { Secrets } from './_secrets.ts'
import type { Provider } from '../cloud-target.ts'

/** Settings that are a host without a scheme: `registry.example:5000`. */
const OF_HOSTS = /(^registry|host)$/

/**
 * The provider of a record, which is going to be asked. What an order says of it, and not the configuration, leads only to
 * where orders may: a cloud of one's own network is named in the configuration, or its host in `factory.private_hosts`.
 * Fails with REQUEST_INVALID, DOWNLOAD_FAILED (out of reach).
 */
export async function reachedProvider(
  ground: Pick<Ground, 'settings' | 'list' | 'reach'>,
  row: Pick<ImageRow, 'target' | 'provider' | 'definition' | 'by_owner'>,
  secrets: Secrets,
): Promise<Provider> {
  const provider = providerOf(ground, row, secrets)
  if (provider.isConfigured !== true) await checkPlaces(provider, reachOf(ground, row).web)
  return provider
}

async function checkPlaces({ options, credentials }: Provider, rules: WebRules): Promise<void> {
  for (const place of [...placesIn(options), ...placesIn(credentials)])
    await checkReach(place, rules)
}

function* placesIn(value: unknown, name = ''): Generator<URL> {
  if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) yield* placesIn(inner, key)
  if (typeof value !== 'string') return
  const text = OF_HOSTS.test(name) && !value.includes('://') ? `http://${value}` : value
  if (/^https?:/i.test(text) && URL.canParse(text)) yield new URL(text)
}
