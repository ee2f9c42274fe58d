/**
 * Recipes with the constructs and the layout of Sahara's published ones, carried out on a remote
 * that only takes notes: what is copied, run and installed, in order, on each distribution.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { validatorMap } from '../src/app/builtin.ts'
import { makeContext } from '../src/base/context.ts'
import { readRecipe } from '../src/recipes/read-recipe.ts'
import { runRecipe } from '../src/recipes/run-recipe.ts'
import { findSaharaPlugins, recipeOfVersion } from '../src/recipes/sahara-plugins.ts'
import { openRemote } from '../src/remotes/open-remote.ts'
import { type Call, makeScriptedRemote } from '../src/testing/scripted-remote.ts'

const PLUGINS = join(import.meta.dirname, 'sahara/plugins')
const STATUS = '/var/lib/dpkg/status'

/** Carries a recipe out on a clean guest; what was done to it, in order. */
async function operationsOf(
  name: string,
  version: string,
  distro: string,
  values: Record<string, string> = {},
): Promise<string[]> {
  const { plugins } = await findSaharaPlugins([PLUGINS])
  const plugin = plugins.find((one) => one.name === name)
  assert.ok(plugin)
  const validators = validatorMap()
  const recipe = await readRecipe(recipeOfVersion(plugin, version), { validators })
  const installed: string[] = []
  const install = (names: string[]) => void installed.push(...names)
  const { driver, calls } = makeScriptedRemote({
    files: { '/etc/os-release': `ID=${distro}\n`, '/usr/bin/yum': '', [STATUS]: '' },
    answers: [
      {
        to: /^apt-get .*install /,
        give: ({ argv }, files) => {
          install(argv.slice(argv.indexOf('--') + 1))
          const stanzas = installed.map(
            (one) => `Package: ${one}\nStatus: install ok installed\nVersion: 1\n\n`,
          )
          files.write(STATUS, Buffer.from(stanzas.join('')), { mode: 0o644, uid: 0, gid: 0 })
        },
      },
      { to: 'yum', give: ({ argv }) => install(argv.slice(argv.indexOf('install') + 1)) },
      {
        to: 'rpm',
        give: () => ({
          stdout: installed
            .map((one) => `${[one, '0', '1', '1', '', '', '', '', ''].join('\x1f')}\x1f\n`)
            .join(''),
        }),
      },
      { to: /./ },
    ],
  })
  const context = makeContext()
  const remote = openRemote(driver, context)
  const options = {
    mode: 'reconcile' as const,
    values: new Map(Object.entries(values)),
    cacheDir: '/none',
  }
  const report = await runRecipe(recipe, remote, options, context)
  assert.equal(report.ok, true, JSON.stringify(report.verdicts))
  return calls.flatMap(describeCall)
}

/** One line for a call that a recipe's author would recognise. */
function describeCall(call: Call): string[] {
  if (call.kind === 'write') return call.path.startsWith('/tmp/') ? [`copy ${call.path}`] : []
  if (call.kind !== 'run') return []
  const { argv, env } = call.command
  const script = argv.at(-1)?.match(/^\/run\/ingot-[^/]+\/(.*)$/)?.[1]
  if (script !== undefined) {
    const own = Object.entries(env ?? {}).filter(
      ([name]) => name !== 'test_only' && name !== 'distro',
    )
    return [`script ${script}${own.map(([name, value]) => ` ${name}=${value}`).join('')}`]
  }
  const words = argv.slice(argv.lastIndexOf(argv.includes('--') ? '--' : 'install') + 1)
  return argv.includes('install') ? [`install ${words.join(' ')}`] : []
}

describe('one recipe for all versions, as Spark and Ambari have it', () => {
  it('runs the branch of the distribution, cases within cases, variables whole', async () => {
    assert.deepEqual(await operationsOf('shared', '1.0', 'ubuntu'), [
      'script refresh',
      'install openjdk-8-jdk',
      'install engine-server engine-agent',
      'install ntp',
      'script configure plugin_version=1.10 lib_dir=/opt/engine lib n=3',
    ])
    assert.deepEqual(await operationsOf('shared', '1.0', 'centos'), [
      'install wget',
      'script add_repo',
      'install java-devel',
      'install engine-server engine-agent',
      'install ntp',
      'script configure plugin_version=1.10 lib_dir=/opt/engine lib n=3',
    ])
  })

  it('follows the arguments', async () => {
    const old = await operationsOf('shared', '1.0', 'ubuntu', { plugin_version: '1.9', n: '5' })
    assert.equal(old[1], 'install openjdk-7-jdk')
    assert.equal(old.at(-1), 'script configure plugin_version=1.9 lib_dir=/opt/engine lib n=5')
    const vendor = await operationsOf('shared', '1.0', 'ubuntu', { java_distro: 'vendor-java' })
    assert.equal(vendor[1], 'install engine-server engine-agent')
  })

  it('does on a distribution without a case what is for all', async () => {
    assert.deepEqual(await operationsOf('shared', '1.0', 'debian'), [
      'install engine-server engine-agent',
      'install ntp',
      'script configure plugin_version=1.10 lib_dir=/opt/engine lib n=3',
    ])
  })
})

describe('a directory for each version, as CDH has it', () => {
  it('finds the scripts of its own version', async () => {
    assert.deepEqual(await operationsOf('versioned', '1.7.0', 'ubuntu'), [
      'script add_repo plugin_version=1.7.0',
      'install vendor-java',
      'install server agent',
      'script turn_off',
    ])
    assert.deepEqual(await operationsOf('versioned', '1.10.0', 'ubuntu'), [
      'script greet greeting=hello',
    ])
  })

  it('installs the first of any when none is there', async () => {
    const operations = await operationsOf('versioned', '1.7.0', 'rocky', { java_distro: 'openjdk' })
    assert.deepEqual(operations, [
      'install wget',
      'script add_repo',
      'install java-8-devel',
      'install server agent',
      'install history-server',
      'script turn_off',
    ])
  })
})

describe('copied files that scripts use, as MapR has it', () => {
  it('lie in /tmp under their own names before the scripts run', async () => {
    assert.deepEqual(await operationsOf('copying', '5.2.0.mrv2', 'centos'), [
      'install unzip wget',
      'copy /tmp/functions.sh',
      'copy /tmp/packages.json',
      'script install helper_version=1',
      'script openjdk',
    ])
    const values = { java_distro: 'oracle-java' }
    assert.deepEqual(await operationsOf('copying', '5.2.0.mrv2', 'ubuntu', values), [
      'install unzip wget',
      'copy /tmp/functions.sh',
      'copy /tmp/packages.json',
      'script install helper_version=1',
      'script oracle_java',
    ])
  })
})
