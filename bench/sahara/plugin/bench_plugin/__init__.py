"""The benchmark's work as a plugin of Sahara: one version, `work`, that only packs images.

It is registered as `storm` since Sahara's image packer loads only the six plugins it knows by name.
"""
from sahara.plugins import images
from sahara.plugins import provisioning


def _work():
    return images.SaharaImageValidator.from_yaml(
        "work.yaml", resource_roots=["."], package="bench_plugin")


class Provider(provisioning.ProvisioningPluginBase):
    def get_title(self):
        return "Bench"

    def get_description(self):
        return "The work of the benchmark."

    def get_versions(self):
        return ["work"]

    def get_configs(self, version):
        return []

    def get_node_processes(self, version):
        return {}

    def configure_cluster(self, cluster):
        pass

    def start_cluster(self, cluster):
        pass

    def get_image_arguments(self, version):
        return _work().get_argument_list()

    def pack_image(self, version, remote, test_only=False,
                   image_arguments=None):
        _work().validate(remote, test_only=test_only,
                         image_arguments=image_arguments)
