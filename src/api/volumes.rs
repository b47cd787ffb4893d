//! Volumes of pods and where they are mounted, in Kubernetes' form and in protobuf's.

use super::schema::FreeMap;
use super::shape::messages;

messages! {
    /// A volume, with its source as Kubernetes writes it, or in `volumeSource` as protobuf does.
    Volume {
        /// Its name.
        name: String,
        /// Its source, in protobuf's form.
        volumeSource: FreeMap,
        /// An empty directory.
        emptyDir: FreeMap,
        /// A path of the node.
        hostPath: FreeMap,
        /// A Secret.
        secret: FreeMap,
        /// A ConfigMap.
        configMap: FreeMap,
        /// Several sources in one directory.
        projected: FreeMap,
        /// Fields of the pod.
        downwardAPI: FreeMap,
        /// A claim.
        persistentVolumeClaim: FreeMap,
        /// A driver.
        csi: FreeMap,
        /// A claim that lives as long as the pod.
        ephemeral: FreeMap,
        /// An OCI image.
        image: FreeMap,
        /// NFS.
        nfs: FreeMap,
        /// iSCSI.
        iscsi: FreeMap,
        /// Fibre Channel.
        fc: FreeMap,
        /// CephFS.
        cephfs: FreeMap,
        /// RADOS block device.
        rbd: FreeMap,
        /// GlusterFS.
        glusterfs: FreeMap,
        /// OpenStack Cinder.
        cinder: FreeMap,
        /// AWS EBS.
        awsElasticBlockStore: FreeMap,
        /// Azure Disk.
        azureDisk: FreeMap,
        /// Azure File.
        azureFile: FreeMap,
        /// GCE persistent disk.
        gcePersistentDisk: FreeMap,
        /// vSphere.
        vsphereVolume: FreeMap,
        /// A FlexVolume driver.
        flexVolume: FreeMap,
        /// Flocker.
        flocker: FreeMap,
        /// A Git repository.
        gitRepo: FreeMap,
        /// Photon.
        photonPersistentDisk: FreeMap,
        /// Portworx.
        portworxVolume: FreeMap,
        /// Quobyte.
        quobyte: FreeMap,
        /// ScaleIO.
        scaleIO: FreeMap,
        /// StorageOS.
        storageos: FreeMap,
    }
    /// A volume mount.
    VolumeMount {
        /// The volume.
        name: String,
        /// Whether it is read-only.
        readOnly: bool,
        /// Where it is mounted.
        mountPath: String,
        /// Which part of it.
        subPath: String,
        /// How mounts propagate.
        mountPropagation: String,
        /// Which part, with variables.
        subPathExpr: String,
        /// Whether what is mounted below it is read-only, too.
        recursiveReadOnly: String,
    }
}
