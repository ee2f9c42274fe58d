/** What each subcommand of Image Factory does, done by a factory of ours. */
import type { WireBuild, WireOrder } from '../../api/factory-wire.ts'
import { Failure, isFailure, messageOf } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import { withUploadOf } from '../image/_upload.ts'
import { formatFinal } from './_describe-build.ts'
import { followBuild } from './_follow.ts'
import { isFetched, toFlatImage, toPluginInfo } from './_imagefactory-print.ts'
import type { ImageFactoryWords, Subcommand } from './_imagefactory-words.ts'
import { joinParameters } from './_parameters.ts'
import { readTemplate } from './_read-template.ts'
import { readText, type Scene } from './_scene.ts'

type Run = (scene: Scene, words: ImageFactoryWords) => Promise<void>

export const RUN_SUBCOMMAND: Readonly<Record<Subcommand, Run>> = {
  base_image: async (scene, words) => {
    const [path = ''] = words.operands
    await build(scene, words, { type: 'base', ...(await readTemplate(path)) })
  },
  target_image: async (scene, words) => {
    const [target = ''] = words.operands
    await build(scene, words, { type: 'target', target, ...(await madeOf(words)) })
  },
  provider_image: async (scene, words) => {
    const [target = '', given = '', credentialsFile = ''] = words.operands
    const provider = given.startsWith('@') ? given.slice(1) : await readDefinition(given)
    const credentials = await readText(credentialsFile)
    const order = { type: 'provider', target, provider, credentials } as const
    await build(scene, words, { ...order, ...(await madeOf(words)) })
  },
  import_base_image: async (scene, words) => {
    const [path = ''] = words.operands
    const { client, cli } = scene
    const made = await withUploadOf(path, cli.context, async (data) => client.import(data, {}))
    await printEnd(scene, words, made)
  },
  images: listImages,
  delete: deleteImage,
  plugins: async ({ client, cli }, { values }) => {
    const id = values.get('id')
    const plugins = (await client.parts()).map(toPluginInfo)
    const found = id === undefined ? plugins : plugins.filter((one) => one.id === id)
    if (id !== undefined && found.length === 0) {
      const ids = plugins.map((one) => one.id)
      throw new Failure('PART_UNKNOWN', `no plugin '${id}'${didYouMean(id, ids)}`)
    }
    cli.print(JSON.stringify(id === undefined ? found : found[0], undefined, 2))
  },
}

/** What a provider is, in a file: a name of the configuration is told by its @. */
async function readDefinition(path: string): Promise<string> {
  return await readText(path).catch((error: unknown) => {
    if (!isFailure(error, 'FILE_NOT_FOUND')) throw error
    const { code, message, details } = error
    throw new Failure(code, message, {
      details,
      cause: error,
      fix: `Say @${path} for a provider of that name.`,
    })
  })
}

/** Fails with USAGE unless one of `--id` and `--template` was said. */
async function madeOf({
  values,
}: ImageFactoryWords): Promise<Pick<WireOrder, 'parent_id' | 'template' | 'files'>> {
  const [id, template] = [values.get('id'), values.get('template')]
  if ((id === undefined) === (template === undefined))
    throw new Failure('USAGE', 'wanted --id or --template, one of them')
  return id === undefined ? await readTemplate(template ?? '') : { parent_id: id }
}

async function build(scene: Scene, words: ImageFactoryWords, order: WireOrder): Promise<void> {
  const parameters = await parametersOf(words)
  const made = await scene.client.order({ ...order, parameters, lenient: true })
  const whole = order.template !== undefined
  await printEnd(scene, words, await followBuild(scene, made, { whole }))
}

async function parametersOf(words: ImageFactoryWords): Promise<Record<string, unknown>> {
  const { values, switches, parameters, fileParameters } = words
  const timeout = values.get('timeout')
  if (timeout !== undefined && !(Number(timeout) > 0))
    throw new Failure('USAGE', `--timeout: wanted a number of seconds, found '${timeout}'`)
  const given = await joinParameters(values.get('parameters'), parameters, fileParameters)
  return {
    ...(timeout !== undefined && { timeout: Number(timeout) }),
    ...(switches.has('snapshot') && { snapshot: true }),
    ...given,
  }
}

/** How it ended: in words, or as fields. Exit code 0 only for what is COMPLETE. */
async function printEnd(scene: Scene, words: ImageFactoryWords, ended: WireBuild): Promise<void> {
  const { cli } = scene
  const text = isJson(words)
    ? JSON.stringify(await flatOf(scene, ended), undefined, 2)
    : formatFinal(ended)
  cli.print(text)
  cli.exit(ended.status === 'COMPLETE' ? 0 : 1)
}

export function isJson({ values, switches }: ImageFactoryWords): boolean {
  return values.get('output') === 'json' || switches.has('json')
}

async function flatOf({ client }: Scene, build: WireBuild): Promise<Record<string, unknown>> {
  const icicle = await client.document(build.id, 'icicle').catch((error: unknown) => {
    if (error instanceof Failure && error.code === 'OBJECT_NOT_FOUND') return null
    throw error
  })
  return toFlatImage(build, icicle?.toString('utf8') ?? null)
}

/** FETCH_SPEC: fields that images have to have. With `identifier` it is one image, else a list. */
async function listImages(scene: Scene, words: ImageFactoryWords): Promise<void> {
  const { client, cli } = scene
  const spec = parseSpec(words.operands[0] ?? '')
  const { identifier } = spec
  const found: { build: WireBuild; flat: Record<string, unknown> }[] = []
  const candidates =
    typeof identifier === 'string' ? [await client.show(identifier)] : client.list()
  for await (const { id, status } of candidates) {
    if (status === 'DELETED') continue
    const build = await client.show(id) // lists have no templates
    const flat = await flatOf(scene, build)
    if (isFetched(flat, spec)) found.push({ build, flat })
  }
  const flats = found.map(({ flat }) => flat)
  if (isJson(words))
    cli.print(JSON.stringify(identifier === undefined ? flats : (flats[0] ?? null), undefined, 2))
  else if (found.length === 0) cli.say('no images')
  else cli.print(found.map(({ build }) => formatFinal(build)).join('\n'))
}

function parseSpec(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw wrongSpec(messageOf(error))
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw wrongSpec(`found ${JSON.stringify(value)}`)
}

function wrongSpec(found: string): Failure {
  return new Failure('USAGE', `FETCH_SPEC: wanted fields and values as a JSON object: ${found}`, {
    fix: `As in: ingot imagefactory images '{"status": "COMPLETE"}'`,
  })
}

async function deleteImage(
  { client, cli }: Scene,
  { operands, values }: ImageFactoryWords,
): Promise<void> {
  const [id = ''] = operands
  const [provider, credentials] = [values.get('provider'), values.get('credentials')]
  const isFile = provider !== undefined && !provider.startsWith('@')
  await client.delete(id, {
    ...(isFile && { definition: await readText(provider) }),
    ...(credentials !== undefined && { credentials: await readText(credentials) }),
  })
  cli.say(`deleted ${id}`)
}
