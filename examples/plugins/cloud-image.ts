/** An OS builder: a base image is the cloud image that a distribution publishes, as it is, if its digest is right. */
import { join } from 'node:path'
import { defineOsBuilder, definePlugin, fetchFile, type Static, Type } from 'ingot/plugin'

const options = Type.Object(
  {
    cloud_image: Type.String({
      maxLength: 2000,
      description: 'address of the image, http or https',
    }),
    cloud_image_sha256: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'its SHA-256, 64 hexadecimal digits',
    }),
    cloud_image_format: Type.Optional(
      Type.Union([Type.Literal('qcow2'), Type.Literal('raw')], {
        description: 'its format; default qcow2',
      }),
    ),
  },
  { additionalProperties: false },
)

export const cloudImageBuilder = defineOsBuilder<Static<typeof options>>({
  name: 'cloud-image',
  summary: 'Takes a published cloud image as it is, and checks its digest',
  options,
  concurrency: 4,
  refuses: ({ recipe, install }) => {
    if (install) return 'it installs nothing: it takes recipes'
    return recipe.steps.length > 0
      ? 'it changes nothing: it takes recipes without steps'
      : undefined
  },
  async build(job) {
    const { cloud_image: url, cloud_image_sha256: sha256, cloud_image_format } = job.options
    const phase = { name: 'fetching the cloud image', from: 0, to: 85, timeoutMs: 3_600_000 }
    const path = await job.phase(phase, async ({ signal, tell }) => {
      // Where orders may lead this host is the operator's to say: `rules`.
      const fetching = { url, sha256, directory: join(job.cacheDir, 'cloud-images') }
      return await fetchFile(
        { ...fetching, rules: job.reach.web },
        {
          ...job.context,
          signal,
          progress: (event) => {
            if (event.kind === 'bytes' && event.total) tell(event.done / event.total)
          },
        },
      )
    })
    await job.setProperties({ cloud_image_sha256: sha256 })
    return { body: { path, format: cloud_image_format ?? 'qcow2' } }
  },
  // Nothing is made elsewhere, so there is nothing to clear.
})

export const plugin = definePlugin({ name: 'cloud-image', osBuilders: [cloudImageBuilder] })
