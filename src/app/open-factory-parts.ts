import { join } from 'node:path'
import { toImageFactoryRecord } from '../api/factory-wire.ts'
import type { Context } from '../base/context.ts'
import { publicWeb } from '../bytes/public-web.ts'
import type { BodyParts } from '../factory/body/body.ts'
import { openBodies } from '../factory/body/open-bodies.ts'
import type { Factory, GivenTemplate } from '../factory/factory.ts'
import { openFactory } from '../factory/engine/open-factory.ts'
import { openRecipeRuns } from '../factory/open-recipe-runs.ts'
import { openSecretKey } from '../factory/open-secret-key.ts'
import { parseTemplate } from '../factory/parse-template.ts'
import type { Reach } from '../factory/reach.ts'
import type { RecipeRuns } from '../factory/recipe-runs.ts'
import type { OpenUplink } from '../remotes/uplink.ts'
import { builtinValidators, validatorMap } from './builtin.ts'
import { cloudTargets, type FactoryHost, osBuilders } from './builtin-factory.ts'
import { makeDataDir } from './data-dir.ts'
import { joinParts, type Plugin } from './plugins.ts'
import { readTargetContent } from './read-target-content.ts'
import type { ServiceConfig } from './service-config.ts'

/** What the factory shares with the image service. */
export interface FactoryGround extends Omit<BodyParts, 'context'> {
  readonly offer: (taskId: string) => Promise<void>
}

/** On whose host it is opened, and by whom. */
export interface FactorySurroundings {
  readonly host: FactoryHost
  readonly plugins: readonly Plugin[]
  /** Whoever runs a command owns the host, and could read what it reads; orders to a server are those of others. */
  readonly role: 'server' | 'command'
}

const HOUR_MS = 3_600_000

/**
 * Puts image factory and recipe runs together, as the configuration says. Fails with CONFIG_INVALID, FILE_NOT_FOUND,
 * FILE_UNREADABLE.
 */
export async function openConfiguredFactory(
  config: ServiceConfig,
  ground: FactoryGround,
  { host, plugins, role }: FactorySurroundings,
  context: Context,
): Promise<{ readonly factory: Factory; readonly recipeRuns: RecipeRuns }> {
  const { factory: settings, data_dir: dataDir } = config
  const workDirectory = settings.work_dir ?? join(dataDir, 'factory')
  await makeDataDir(workDirectory)
  await makeDataDir(host.cacheDir)
  const named = settings.secret_key_file
  const validators = validatorMap(
    joinParts('validator', builtinValidators, plugins, (plugin) => plugin.validators),
  )
  const shared = {
    ...ground,
    parseTemplate: async (given: GivenTemplate) =>
      await parseTemplate(given, {
        validators,
        requireRootPassword: settings.require_root_password,
      }),
    secretKey: await openSecretKey(named ?? join(dataDir, 'secret.key'), named === undefined),
    workDirectory,
    cacheDirectory: host.cacheDir,
    reach: reachOf(settings.private_hosts, host.uplink),
    ordersByOwner: role === 'command',
    context,
  }
  const { trusted: trustsImages, max_log_size: maxLogSize } = settings
  const factory = await openFactory({
    ...shared,
    builders: joinParts(
      'OS builder',
      osBuilders(host, settings),
      plugins,
      (plugin) => plugin.osBuilders,
    ),
    targets: joinParts(
      'cloud target',
      cloudTargets(host),
      plugins,
      (plugin) => plugin.cloudTargets,
    ),
    bodies: openBodies({ ...shared, trustsImages, version: host.version }),
    targetContent: await readTargetContent(settings.target_content, context.log),
    toRecord: toImageFactoryRecord,
    settings: {
      builder: settings.builder,
      concurrency: settings.concurrency,
      jobTimeoutMs: settings.job_timeout_s * 1000,
      maxUnderWay: settings.max_under_way,
      maxLogSize,
      providers: settings.providers,
    },
    callbackRules: publicWeb(settings.callback_hosts, 'Name the host in factory.callback_hosts.'),
  })
  const recipeRuns = openRecipeRuns({
    ...shared,
    settings: { maxLogSize, keepMs: config.import.task_keep_h * HOUR_MS },
  })
  return { factory, recipeRuns }
}

/** What is read for orders to a server. */
function reachOf(privateHosts: readonly string[], uplink: OpenUplink): Reach {
  const web = publicWeb(privateHosts, 'Name the host in factory.private_hosts.')
  return { web, files: false, uplink }
}
