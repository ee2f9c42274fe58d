import { emulation, probeAccelerator } from '../machines/accelerator.ts'
import type { Cli } from './cli.ts'

/** The accelerator that the settings name, or the fastest one that a probe guest ran on. */
export async function chooseAccelerator(cli: Cli): Promise<'kvm' | 'tcg'> {
  const { accelerator, cache_dir: cacheDir } = cli.configuration.config
  if (accelerator !== 'auto') return accelerator
  const found = await probeAccelerator({ cacheDir }, cli.context).catch((error: unknown) =>
    emulation(String(error)),
  )
  cli.context.log.info('accelerator.chosen', { kind: found.kind, reason: found.reason })
  return found.kind
}
