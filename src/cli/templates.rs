//! The templates that are in force in a cluster, and those of files that are laid over them.
//!
//! Takes a cluster, or names of files; returns templates, and what of them could not be seen.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::cluster::Cluster;
use super::error::CliError;
use super::files;
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::compile::{Layers, ScopedTemplate, laid_over, select_seen};
use crate::manifest::{self, Diagnostic, Source};
use crate::reconcile::StoredTemplate;
use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView};

/// Templates, as far as they could be seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates {
    pub(super) all: Vec<ScopedTemplate>,
    /// Kinds that the user may not list.
    pub(super) unseen: Vec<TemplateKind>,
}

impl Templates {
    /// Reads those that apply to JobRequests of `namespace`, or of all namespaces. Kinds that may not be listed are left out.
    ///
    /// # Errors
    /// The API server gave no answer, or refused for another reason.
    pub(super) async fn of_cluster(cluster: &Cluster, namespace: Option<&str>) -> Result<Self, CliError> {
        let mut templates = Self::default();
        let own = match namespace {
            Some(namespace) => cluster.list::<JobTemplateView>("JobTemplate", namespace).await,
            None => cluster.list_all::<JobTemplateView>("JobTemplate").await,
        };
        templates.add(TemplateKind::JobTemplate, own)?;
        let of_cluster = cluster.list_all::<ClusterJobTemplateView>("ClusterJobTemplate").await;
        templates.add(TemplateKind::ClusterJobTemplate, of_cluster)?;
        Ok(templates)
    }

    fn add<K: Into<StoredTemplate>>(
        &mut self,
        kind: TemplateKind,
        listed: Result<Vec<K>, CliError>,
    ) -> Result<(), CliError> {
        match listed {
            Ok(views) => {
                let stored = views.into_iter().map(Into::<StoredTemplate>::into);
                self.all.extend(stored.map(ScopedTemplate::from));
            }
            Err(CliError::Refused { code: 403, .. }) => self.unseen.push(kind),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The same with `laid` applied over them now.
    pub(super) fn with(&self, laid: &[ScopedTemplate]) -> Self {
        let all = laid_over(&self.all, laid, Some(Timestamp::now()));
        Self { all, unseen: self.unseen.clone() }
    }

    /// The layers that apply to a request; and whether the template that it names could not be seen.
    pub(super) fn layers(&self, namespace: &str, template_ref: Option<&TemplateRef>) -> (Layers, bool) {
        select_seen(&self.all, namespace, template_ref, &self.unseen)
    }

    /// What could not be seen, in a sentence each.
    pub(super) fn gaps(&self) -> Vec<String> {
        let words = |kind: &TemplateKind| {
            format!("{kind}s could not be listed (forbidden): their values are missing here")
        };
        self.unseen.iter().map(words).collect()
    }
}

/// Templates in files.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) templates: Vec<ScopedTemplate>,
    /// What is wrong with them by themselves.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// The files that `--templates` names.
///
/// # Errors
/// One cannot be read.
pub(super) fn sources(names: &[String], is_recursive: bool) -> Result<Vec<Arc<Source>>, CliError> {
    Ok(files::read(names, is_recursive)?)
}

/// The templates in `sources`, called `names`; `namespace` is that of those which set none. Other objects are passed over.
///
/// # Errors
/// There is none.
pub(super) fn in_files(
    sources: &[Arc<Source>],
    names: &[String],
    namespace: Option<&str>,
) -> Result<Laid, CliError> {
    let mut documents = manifest::read(sources);
    documents.documents.retain(|document| document.kind != "JobRequest");
    if documents.documents.is_empty() && documents.unreadable.is_empty() {
        return Err(CliError::Usage(format!(
            "found no JobTemplate or ClusterJobTemplate in {}",
            names.join(", ")
        )));
    }
    let inspected = manifest::inspect(documents, namespace, 1)?;
    Ok(Laid { templates: inspected.templates, diagnostics: inspected.diagnostics })
}
