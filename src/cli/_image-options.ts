/** What `pack` and `validate` share: the options that say which image is worked on, and how. */
import { type Command, Option } from 'commander'
import { proxiesFromEnvironment } from '../app/config.ts'
import { guestUplink } from '../app/guest-uplink.ts'
import { Failure } from '../base/failure.ts'
import { parseDuration } from '../base/units.ts'
import type { ImageRunOptions } from '../recipes/image-run.ts'
import { addViaOptions, type ViaFlags } from './_via-options.ts'
import type { Cli } from './cli.ts'

export interface ImageFlags extends ViaFlags {
  image?: string
  format?: 'raw' | 'qcow2'
  network: boolean
  stepTimeout?: string
}

export function addImageOptions(command: Command): void {
  command.addOption(
    new Option(
      '--format <format>',
      'disk format of the image; told from its content when left out',
    ).choices(['raw', 'qcow2']),
  )
  addViaOptions(command)
  command
    .option('--no-network', 'commands in the image get no network')
    .option('--step-timeout <time>', 'how long one command of a step may take, such as 90s or 10m')
}

export function toImageRunOptions(
  flags: ImageFlags,
  values: ReadonlyMap<string, string>,
  cli: Cli,
): ImageRunOptions {
  const { config } = cli.configuration
  if (flags.image === undefined)
    throw new Failure('USAGE', 'no image was named', { fix: 'Say --image FILE.' })
  return {
    path: flags.image,
    ...(flags.format === undefined ? {} : { format: flags.format }),
    ...(flags.rootFilesystem === undefined ? {} : { rootFileSystem: flags.rootFilesystem }),
    via: flags.via,
    trusted: flags.trusted ?? false,
    network: flags.network && guestUplink(config, proxiesFromEnvironment()),
    values,
    commandTimeoutMs:
      flags.stepTimeout === undefined
        ? config.command_timeout_s * 1000
        : parseDuration(flags.stepTimeout),
    tempDir: config.temp_dir,
    cacheDir: config.cache_dir,
    chooseAccelerator: async () => {
      const { chooseAccelerator } = await import('./_accelerator.ts')
      return await chooseAccelerator(cli)
    },
  }
}
