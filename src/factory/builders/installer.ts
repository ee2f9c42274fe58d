/**
 * The OS builder `installer`: a system's own installer, unattended, in a virtual machine of this host. What Oz and
 * Image Factory's TinMan did with libvirt, without it.
 */
import { messageOf } from '../../base/failure.ts'
import { type InstallerOptions, installerOptions } from '../installer/installer-options.ts'
import { applyOzOverrides } from '../installer/oz-overrides.ts'
import { planInstallation } from '../installer/plan-install.ts'
import { defineOsBuilder, type Job } from '../os-builder.ts'

export const installerBuilder = defineOsBuilder<InstallerOptions>({
  name: 'installer',
  summary: 'the system’s own installer, unattended, in a virtual machine of this host',
  options: installerOptions,
  concurrency: 1,

  refuses: (template, options) => {
    try {
      planInstallation({ template, options: applyOzOverrides(options).options })
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  },

  build: async (given) => {
    const { options, told } = applyOzOverrides(given.options)
    for (const line of told) given.log.event(line)
    // Machines, media and what is done in guests are loaded when something is built.
    const { buildByInstaller } = await import('../installer/build-by-installer.ts')
    return await buildByInstaller(withOptions(given, options))
  },
})

/** The job with what its options mean. What changes while it runs is asked of the one that was given. */
function withOptions(job: Job<InstallerOptions>, options: InstallerOptions): Job<InstallerOptions> {
  const { template, workDir, cacheDir, attempt, log, holdings, reach, context } = job
  const same = { template, workDir, cacheDir, attempt, log, holdings, reach, context }
  return {
    ...same,
    options,
    get image() {
      return job.image
    },
    phase: (phase, work) => job.phase(phase, work),
    setProperties: (properties) => job.setProperties(properties),
    keepDocument: (kind, content) => job.keepDocument(kind, content),
    addSecret: (secret) => job.addSecret(secret),
  }
}
