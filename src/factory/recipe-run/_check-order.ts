/** What an order of a run must be; checked before anything is kept. */
import { Failure, isFailure } from '../../base/failure.ts'
import { KiB, MiB } from '../../base/units.ts'
import type { Catalog } from '../../images/catalog.ts'
import { resolveArguments } from '../../recipes/argument-values.ts'
import { parseDestination } from '../../remotes/ssh.ts'
import type { GivenTemplate } from '../factory.ts'
import type { HostsOrder } from '../recipe-runs.ts'
import type { Template } from '../template.ts'

/** Bytes of a recipe with its files; of its arguments; of a key; of known hosts. */
const MAX_RECIPE = 8 * MiB
const MAX_ARGS = 256 * KiB
const MAX_KEY = 32 * KiB
const MAX_KNOWN = 256 * KiB
const MAX_HOSTS = 100
const SSH_PORT = 22

/** Fails with LIMIT_EXCEEDED, RECIPE_INVALID, TEMPLATE_INVALID, ARGUMENT_INVALID. */
export async function checkRecipe(
  given: GivenTemplate,
  args: Readonly<Record<string, string>>,
  parseTemplate: (given: GivenTemplate) => Promise<Template>,
): Promise<Template> {
  const files = Object.entries(given.files ?? {})
  const size = files.reduce(
    (sum, [path, bytes]) => sum + path.length + bytes.length,
    given.text.length,
  )
  demandAtMost('a recipe with its files', size, MAX_RECIPE)
  demandAtMost('the arguments', JSON.stringify(args).length, MAX_ARGS)
  const template = await parseTemplate(given)
  resolveArguments(template.recipe.args, new Map(Object.entries(args)))
  return template
}

/** Fails with IMAGE_NOT_FOUND, IMAGE_STATE. */
export async function checkImage(catalog: Catalog, id: string): Promise<void> {
  const image = await catalog.get(id)
  if (image === undefined || image.status === 'pending_delete')
    throw new Failure('IMAGE_NOT_FOUND', `no image ${id}`, { details: { id } })
  if (image.status !== 'active')
    throw new Failure('IMAGE_STATE', `image ${id} is ${image.status}; wanted an active one`, {
      details: { id, status: image.status },
    })
}

/** Hosts as `user@host:port`. Fails with REQUEST_INVALID, LIMIT_EXCEEDED. */
export function checkHosts({ hosts, user, port = SSH_PORT, ...order }: HostsOrder): string[] {
  if (hosts.length === 0) throw new Failure('REQUEST_INVALID', 'hosts: wanted one at least')
  demandAtMost('hosts', hosts.length, MAX_HOSTS)
  demandAtMost('the private key', order.privateKey.length, MAX_KEY)
  demandAtMost('known hosts', order.knownHosts.length, MAX_KNOWN)
  if (!/^-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n/.test(order.privateKey))
    throw new Failure('REQUEST_INVALID', 'private_key: wanted a key as OpenSSH writes it')
  if (order.knownHosts.trim() === '')
    throw new Failure('REQUEST_INVALID', 'known_hosts: wanted the keys of the hosts', {
      fix: 'Take them from where the hosts were made, or from `ssh-keyscan` over a network that you trust.',
    })
  return hosts.map((host) => checkHost(host, user, port))
}

function checkHost(host: string, user: string, port: number): string {
  const text = `${user}@${host}${/:\d{1,5}$/.test(host) ? '' : `:${port}`}`
  try {
    parseDestination(text)
    return text
  } catch (error) {
    if (isFailure(error, 'USAGE'))
      throw new Failure('REQUEST_INVALID', error.message, { cause: error })
    throw error
  }
}

function demandAtMost(what: string, found: number, maximum: number): void {
  if (found > maximum)
    throw new Failure('LIMIT_EXCEEDED', `${what}: wanted at most ${maximum}, found ${found}`, {
      details: { maximum, found },
    })
}
