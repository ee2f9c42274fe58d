/** The tree builder `bootstrap`: Debian and Ubuntu out of their packages, by mmdebstrap. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { runProcess } from '../../base/process.ts'
import { type BaseKey, baseSchema } from '../../recipes/base-schema.ts'
import { plainEnvironment } from '../../remotes/plain-environment.ts'
import { layBootstrapFiles } from './_bootstrap-hooks.ts'
import { makeMmdebstrapArgv, toBootstrapFailure } from './_mmdebstrap.ts'
import { readAptOptions, toProxyEnvironment } from '../../guests/apt-options.ts'
import { readHostApt, withoutPasswords } from '../../guests/apt-sources.ts'
import { choosePackages } from './base-packages.ts'
import { chooseSources } from './choose-sources.ts'
import type { TreeBuilder } from './tree-builder.ts'
import { keepPackages } from './package-cache.ts'
import { fetchReleaseDate } from './release-date.ts'

/** Settings of apt for the time of the build. mmdebstrap writes them there and leaves them. */
const APT_OPTIONS_FILE = '/etc/apt/apt.conf.d/99mmdebstrap'

export const bootstrap: TreeBuilder<BaseKey> = {
  name: 'bootstrap',
  summary: 'Debian and Ubuntu out of their packages, by mmdebstrap',
  options: baseSchema,
  programs: ['mmdebstrap', 'bwrap', 'unshare'],

  build: async (base, job, context) => {
    const chosen = chooseSources(base, await readHostApt())
    const aptOptions = await readAptOptions()
    const proxies = { ...toProxyEnvironment(aptOptions), ...job.proxies }
    const environment = { ...plainEnvironment, ...proxies }
    const mirror = chosen.sources[0]?.uris[0] ?? ''
    const time =
      base.date === undefined
        ? await fetchReleaseDate(mirror, base.release, { ...job, environment }, context)
        : new Date(base.date)
    const cache = join(job.cacheDir, 'packages', `${base.distro}-${base.release}`)
    await mkdir(cache, { recursive: true })
    const files = await layBootstrapFiles(base, chosen, cache, job)
    const packages = choosePackages(base, job.fileSystem)
    const argv = makeMmdebstrapArgv({ base, packages, aptOptions, root: job.root, ...files })
    const result = await runProcess([...job.launcher, ...argv], {
      env: { ...environment, SOURCE_DATE_EPOCH: String(time.getTime() / 1000) },
      signal: context.signal,
      onOutput: tell(context),
    })
    if (result.code !== 0) throw toBootstrapFailure(result)
    return {
      time,
      temporaryFiles: [APT_OPTIONS_FILE],
      environment: proxies,
      sources: withoutPasswords(chosen.sources).map(({ uris, suites, components }) => ({
        uri: uris[0] ?? '',
        suites,
        components,
      })),
      keep: () => keepPackages(join(job.root, 'var/cache/apt/archives'), cache),
    }
  },
}

/** Passes on, line by line, what mmdebstrap says it does. */
function tell(context: Context): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split(/[\r\n]+/)
    rest = lines.pop()?.slice(-4096) ?? ''
    for (const line of lines) {
      const said = /^I: (.+?)(?:\.\.\.)?$/.exec(line)?.[1]
      if (said !== undefined) context.progress({ kind: 'output', line: said })
    }
  }
}
