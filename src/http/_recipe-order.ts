import { Failure } from '../base/failure.ts'
import type { GivenTemplate } from '../factory/factory.ts'
import type { HostsOrder, RecipeRun, RecipeRuns } from '../factory/recipe-runs.ts'
import { Type } from '../schema/type.ts'
import { MAX_ORDER, templateFields, templateOf } from './_build-order.ts'
import { checkAllowed, findImage, type Visit } from './_door.ts'
import { requesterOf } from './_factory-door.ts'
import { readShape } from './_metadef-door.ts'

const strict = { additionalProperties: false } as const
const text = (description: string) => Type.Optional(Type.String({ description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))

const recipeFields = {
  ...templateFields,
  args: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: 'values of the recipe’s arguments' }),
  ),
  step_timeout_s: Type.Optional(
    Type.Integer({ minimum: 1, description: 'seconds that a command may take' }),
  ),
}
const imageFields = {
  image_id: text('the image of the catalog'),
  trusted: flag('somebody vouches for the image: quicker (administrators)'),
  root_filesystem: text('device of the root file system, when there is more than one'),
}
const hostFields = {
  hosts: Type.Optional(Type.Array(Type.String(), { description: 'names or addresses' })),
  user: text('who signs in there'),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'of SSH' })),
  private_key: text('as OpenSSH writes it, without a passphrase; kept until the run has ended'),
  known_hosts: text('what the hosts prove themselves by'),
  sudo: flag('become root'),
}

export const checkSchema = Type.Object(templateFields, strict)
export const packSchema = Type.Object(
  {
    ...recipeFields,
    ...imageFields,
    name: text('of the new image'),
    clean: flag('take out what machines must not share; default yes'),
  },
  strict,
)
export const validateSchema = Type.Object(
  { ...recipeFields, ...imageFields, ...hostFields },
  strict,
)
export const provisionSchema = Type.Object({ ...recipeFields, ...hostFields }, strict)

/** Fails with REQUEST_INVALID. */
export async function readTemplate(visit: Visit): Promise<GivenTemplate> {
  return demandTemplate(await readShape(visit, checkSchema, MAX_ORDER))
}

/** Packs an image that the caller may read, into a new one. Fails as `RecipeRuns.pack` does, and with FORBIDDEN. */
export async function orderPack(visit: Visit, runs: RecipeRuns): Promise<RecipeRun> {
  const body = await readShape(visit, packSchema, MAX_ORDER)
  const { name, clean } = body
  return await runs.pack({
    ...commonOf(visit, body),
    ...(await imageOf(visit, body)),
    name,
    clean,
  })
}

/** Validates an image, or hosts: that is for those who may provision them. */
export async function orderValidate(visit: Visit, runs: RecipeRuns): Promise<RecipeRun> {
  const body = await readShape(visit, validateSchema, MAX_ORDER)
  const common = commonOf(visit, body)
  if ((body.image_id === undefined) === (body.hosts === undefined))
    throw new Failure('REQUEST_INVALID', 'wanted image_id or hosts, one of them')
  if (body.hosts === undefined)
    return await runs.validate({ ...common, ...(await imageOf(visit, body)) })
  allowHosts(visit)
  return await runs.validate({ ...common, ...hostsOf(body) })
}

export async function orderProvision(visit: Visit, runs: RecipeRuns): Promise<RecipeRun> {
  const body = await readShape(visit, provisionSchema, MAX_ORDER)
  return await runs.provision({ ...commonOf(visit, body), ...hostsOf(body) })
}

interface RecipeBody {
  readonly template?: string
  readonly files?: Readonly<Record<string, string>>
  readonly args?: Readonly<Record<string, string>>
  readonly step_timeout_s?: number
}

function commonOf(visit: Visit, body: RecipeBody) {
  const { args = {}, step_timeout_s: seconds } = body
  return {
    requester: requesterOf(visit),
    recipe: demandTemplate(body),
    args,
    commandTimeoutMs: seconds === undefined ? undefined : seconds * 1000,
  }
}

function demandTemplate(body: Pick<RecipeBody, 'template' | 'files'>): GivenTemplate {
  const template = templateOf(body)
  if (template !== undefined) return template
  throw new Failure('REQUEST_INVALID', 'template is missing: a recipe, or a TDL')
}

interface ImageBody {
  readonly image_id?: string
  readonly trusted?: boolean
  readonly root_filesystem?: string
}

/** Fails with IMAGE_NOT_FOUND, FORBIDDEN. */
async function imageOf(visit: Visit, body: ImageBody) {
  const { image_id: imageId, trusted = false, root_filesystem: rootFileSystem } = body
  if (imageId === undefined) throw new Failure('REQUEST_INVALID', 'image_id is missing')
  await findImage(visit, imageId, 'download_image')
  if (trusted) checkAllowed(visit, 'factory_trusted', targetOf(visit))
  return { imageId, trusted, rootFileSystem }
}

function allowHosts(visit: Visit): void {
  checkAllowed(visit, 'recipe_provision', targetOf(visit))
}

function targetOf({ caller: { projectId } }: Visit) {
  return { project_id: projectId, owner: projectId }
}

interface HostsBody {
  readonly hosts?: readonly string[]
  readonly user?: string
  readonly port?: number
  readonly private_key?: string
  readonly known_hosts?: string
  readonly sudo?: boolean
}

/** Fails with REQUEST_INVALID, which names all that is missing. */
function hostsOf(body: HostsBody): HostsOrder {
  const { hosts, user, port, private_key: privateKey, known_hosts: knownHosts, sudo } = body
  if (
    hosts !== undefined &&
    user !== undefined &&
    privateKey !== undefined &&
    knownHosts !== undefined
  )
    return { hosts, user, port, privateKey, knownHosts, sudo }
  const missing = Object.entries({ hosts, user, private_key: privateKey, known_hosts: knownHosts })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name)
  throw new Failure('REQUEST_INVALID', `missing: ${missing.join(', ')}`)
}
