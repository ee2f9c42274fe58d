import { Failure } from '../base/failure.ts'
import type { CloudService, EndpointWish } from './cloud.ts'

/** What a type of service was called before. Source: OpenStack's service-types authority. */
const OLDER_NAMES: Readonly<Record<string, readonly string[]>> = {
  'block-storage': ['block-store', 'volumev3', 'volumev2', 'volume'],
  'shared-file-system': ['sharev2', 'share'],
  'key-manager': ['key-management'],
  'object-store': ['object-storage'],
  'container-infrastructure-management': ['container-infra'],
  placement: ['placement-api'],
}

/** The service of a type, by its name of today or an older one. */
export function findService(
  catalogue: readonly CloudService[],
  type: string,
): CloudService | undefined {
  const aliases = Object.entries(OLDER_NAMES).find(
    ([now, older]) => now === type || older.includes(type),
  )
  const names = [type, ...(aliases === undefined ? [] : [aliases[0], ...aliases[1]])]
  return names
    .map((name) => catalogue.find((service) => service.type === name))
    .find((service) => service !== undefined)
}

/** Where a service answers, without a slash at the end. Fails with ENDPOINT_UNKNOWN, saying what there is. */
export function findEndpoint(catalogue: readonly CloudService[], wish: EndpointWish): string {
  const { service: type, interface: side = 'public', region } = wish
  const service = findService(catalogue, type)
  const found = service?.endpoints.find(
    (one) => one.interface === side && (region === undefined || one.region === region),
  )
  if (found !== undefined) return found.url.replace(/\/+$/, '')
  const there =
    service === undefined
      ? `its catalogue has ${catalogue.map((one) => one.type).join(', ') || 'no services'}`
      : `it has ${service.endpoints.map((one) => `${one.interface} in ${one.region || 'no region'}`).join(', ') || 'no endpoints'}`
  const where = region === undefined ? '' : ` in region ${region}`
  throw new Failure('ENDPOINT_UNKNOWN', `no ${side} endpoint of ${type}${where}: ${there}`, {
    details: { service: type, interface: side, region },
  })
}
