"""MLflow, which nothing else imports: `store` writes a study's runs, `frames` reads them back as tables.

Nothing is loaded here, since MLflow takes two seconds to import and pandas half a second: import from the modules.
"""
