/** `package`. Source: Sahara `plugins/images.py`, SaharaPackageValidator. */
import { Failure } from '../../base/failure.ts'
import { packageManagerOf } from '../../guests/package-manager-of.ts'
import type { PackageManager, PackageSpec } from '../../guests/package-manager.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { Type } from '../../schema/type.ts'

/** What no package manager could take for an option or for two words. */
const WORD = '^[^\\s-]\\S*$'

const nameSchema = Type.String({ pattern: WORD, title: 'the name of a package' })
const versionedSchema = Type.Record(
  Type.String(),
  Type.Object(
    {
      version: Type.Optional(
        Type.String({
          pattern: WORD,
          title: 'a version',
          description:
            'exactly this version, as the guest’s package manager writes it (`1.22.1-9+deb12u1`; for rpm the release may be left out); `*` stands for anything',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  { minProperties: 1, maxProperties: 1, title: 'one package with its version' },
)

type OneSpec = string | Record<string, { version?: string }>

export const packageValidator = defineValidator<OneSpec | OneSpec[], readonly PackageSpec[]>({
  name: 'package',
  summary: 'packages of the guest’s distribution, installed',
  description: `A name, a name with a \`version\`, or a list of both. A list is checked at once and what is missing is installed in one transaction,
by apt, dnf or yum, or zypper. A package that was removed but left its configuration counts as missing; where no version is asked for, a package
that provides the name is enough. The lists of available packages are brought up to date when they are older than an hour or do not have what is asked.`,
  example: `
- package: nginx
- package:
    - curl
    - openjdk-17-jre-headless:
        version: 17.0.*`,
  schema: Type.Union([
    nameSchema,
    versionedSchema,
    Type.Array(Type.Union([nameSchema, versionedSchema]), { title: 'a list of packages' }),
  ]),
  load: (spec, loading) => {
    const specs = (Array.isArray(spec) ? spec : [spec]).map(toPackageSpec)
    for (const { name } of specs)
      if (!new RegExp(WORD, 'u').test(name))
        loading.fault([], `'${name}' cannot be the name of a package`)
    return specs
  },
  title: (specs) => `package ${specs.map(nameOf).join(', ')}`,
  check: async (specs, scene) => {
    const missing = await findMissing(specs, scene, managerFor(specs, scene))
    return missing.map(({ difference }) => difference)
  },
  apply: async (specs, scene) => {
    const manager = managerFor(specs, scene)
    const missing = await findMissing(specs, scene, manager)
    const wanted = missing.map(({ spec }) => spec)
    await manager.install(scene.remote, wanted, {
      timeoutMs: scene.commandTimeoutMs,
      onOutput: scene.onOutput,
      context: scene.context,
      cacheDir: scene.cacheDir,
    })
    return `installed ${wanted.map(nameOf).join(', ')} with ${manager.name}`
  },
})

function toPackageSpec(spec: OneSpec): PackageSpec {
  if (typeof spec === 'string') return { name: spec }
  const [name, options] = Object.entries(spec)[0] ?? ['', {}]
  return { name, version: options.version }
}

function nameOf({ name, version }: PackageSpec): string {
  return version === undefined ? name : `${name} ${version}`
}

/** The guest's package manager, if it can make anything of these names. */
function managerFor(specs: readonly PackageSpec[], scene: Scene): PackageManager {
  const manager = packageManagerOf(scene.facts)
  const refusals = specs.flatMap((spec) => manager.refuses(spec) ?? [])
  if (refusals.length > 0) throw new Failure('STEP_FAILED', refusals.join('; '))
  return manager
}

async function findMissing(
  specs: readonly PackageSpec[],
  scene: Scene,
  manager: PackageManager,
): Promise<{ spec: PackageSpec; difference: Difference }[]> {
  if (specs.length === 0) return []
  const installed = await manager.readInstalled(scene.remote)
  return specs
    .filter((spec) => !installed.some((one) => manager.satisfies(one, spec)))
    .map((spec) => {
      const other = installed.filter((one) => manager.satisfies(one, { name: spec.name }))
      return {
        spec,
        difference: {
          what: `package ${spec.name}`,
          expected: spec.version === undefined ? 'installed' : `version ${spec.version}`,
          found:
            other.length === 0
              ? 'not installed'
              : `version ${other.map(({ version }) => version).join(', ')}`,
        },
      }
    })
}
